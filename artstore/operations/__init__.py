"""Operations: what is done with one repository, a folder for each verb."""
