"""Operations on one repository, a folder for each verb."""
